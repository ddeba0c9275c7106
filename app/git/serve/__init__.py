"""A bare repository, read by Git's own clients: the server's half of `git fetch`, without any HTTP.

    refs          what there is to be fetched (gitprotocol-pack, reference discovery)
    request       what a client asks for, parsed
    negotiation   what both sides have, and where a shallow history ends
    selection     which objects a client lacks
    packs         these objects as one pack, copied as they lie in the repository's own packs
    worker        a process that reads one request and writes its answer

Version 0 of the protocol, stateless: each request says all that was said before, so any process can answer
it. Clients that ask for version 2 take this, too. dulwich's server was tried first: it ends with an error
when a shallow clone fetches (1.2.21), and takes several times as long to write a pack.
"""
