"""stub"""
from galago.converted import FORMAT
def convert(*a, **k): raise NotImplementedError
