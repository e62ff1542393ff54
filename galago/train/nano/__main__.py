"""`python -m galago.train CONFIG --data SHARDS --packages NODE_MODULES --out DIR`."""

from galago.train.run import main

if __name__ == "__main__":
    main()
