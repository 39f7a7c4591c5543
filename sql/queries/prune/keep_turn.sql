-- No row: this transaction may stay open, with nothing to do, for as long as pruning takes.
set local idle_in_transaction_session_timeout = 0
