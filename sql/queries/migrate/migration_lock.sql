-- No row: until its transaction ends, this is the only one that migrates {schema}; gives up after a minute. Only who owns
-- the table can lock it so. The mode lets yoyo change rows of it.
set local lock_timeout = '60s'; lock table {schema}.yoyo_lock in share update exclusive mode
