"""A name -> a folder on this machine; the only room that fetches models."""
