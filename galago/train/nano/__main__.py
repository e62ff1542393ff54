"""`python -m galago.train.nano CONFIG --data SHARDS --packages NODE_MODULES --out DIR`."""

from galago.train.nano.run import main

if __name__ == "__main__":
    main()
