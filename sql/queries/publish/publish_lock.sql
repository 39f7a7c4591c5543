-- The one row says whether this session is now the only one that loads a batch of this catalog.
select pg_try_advisory_lock(hashtextextended('recjobs.load.' || current_schema(), 0)) as taken
