-- The one row: this session is now the only one that migrates this database, until it ends; gives up after a minute.
set lock_timeout = '60s'; select pg_advisory_lock(hashtextextended('recjobs.migrate', 0))
