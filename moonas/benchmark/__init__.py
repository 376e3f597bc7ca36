"""Measurements of moonas itself, not of networks: `python -m moonas.benchmark NAME`. Timings stay out of the tests.

`loop` asks what the search loop costs beside evaluating, `memory` what a search holds; `strategies` holds NSGA-II
against random search; `encodings` times decoding and building; `training` and `proxies` hold training as moonas does
it, and the short training by which it ranks networks, against the loop that an engineer writes by hand.
"""
