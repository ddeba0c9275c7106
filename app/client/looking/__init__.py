"""Looking at history on this machine: the log, differences, who wrote what, when a text came and went.

    source       the history that a command looks at: the working folder's mirror, or one kept for the project
    compare      what differs between two points, or between a point and the folder's files
    blaming      who wrote each line of a document, and when a text stood in it
    kept_lines   attributions that were computed once
    halving      which version broke it

All of it is computed here from the mirror. The server is asked only for contents that the mirror lacks.
"""
