"""Where the files of a repository lie: a folder, an object store; each file made once and whole."""
