"""Teachers that label pictures once, each in an environment of its own; kept beside the shards."""
