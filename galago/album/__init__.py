"""Albums: folders of photos, indexed once and searched by words or pictures.

    from galago import MobileCLIP
    from galago.album import Part, Searcher, album_folder, index

    clip = MobileCLIP.load("mobileclip2-nano")
    index(album_folder("default"), ["~/Pictures"], lambda: clip, source=clip.name)
    with Searcher(album_folder("default")) as searcher:
        for hit in searcher.search([Part(clip.embed_texts(["a dog on a beach"])[0])]):
            print(hit.score, hit.match, hit.path)

The model is passed in: an album knows no engine.
"""

from galago.album.duplicates import find_duplicates
from galago.album.embedder import Embedder
from galago.album.filters import Filter, filter_of
from galago.album.grouping import Copy, Duplicates
from galago.album.guide import Found, Guide
from galago.album.indexing import IndexOptions, Summary, index
from galago.album.match import NEAR
from galago.album.names import album_folder, album_names
from galago.album.present import Checked, LeftOut
from galago.album.ranking import Part
from galago.album.search import Hit, Searcher
from galago.album.sheet import contact_sheet, grouped_sheet
from galago.album.store import Store, check_model
from galago.album.transcripts import Reader, Transcribed
from galago.album.wants import Want
from galago.places import albums_dir

__all__ = [
    "NEAR",
    "Checked",
    "Copy",
    "Duplicates",
    "Embedder",
    "Filter",
    "Found",
    "Guide",
    "Hit",
    "IndexOptions",
    "LeftOut",
    "Part",
    "Reader",
    "Searcher",
    "Store",
    "Summary",
    "Transcribed",
    "Want",
    "album_folder",
    "album_names",
    "albums_dir",
    "check_model",
    "contact_sheet",
    "filter_of",
    "find_duplicates",
    "grouped_sheet",
    "index",
]
