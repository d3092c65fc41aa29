"""JEPX: the exchange's interface for members, as two venues and a stream.

`connection` is the sockets, `day_ahead` and `intraday` are the venues, `board` follows the
intraday board. A bid carries its id in the exchange's `note`, which comes back in every answer:
that is how a bid is recognised after an answer was lost.
"""
