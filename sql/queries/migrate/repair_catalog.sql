-- No row: a catalog made by a commit whose migrations were edited later is what the landed ones make and build upon. For
-- a catalog whose texts nobody has noted; any other is left as it is.
do $$
begin
    -- 0001 of e7ee193: the log was a table where there is a view now
    if exists (select from pg_class where oid = to_regclass('publish_log') and relkind = 'r') then
        alter table publish_log rename to publish_records;
        create view publish_log as select * from publish_records;
        grant select on publish_log to recjobs_reader;
    end if;
    -- 0009 of dd4b338 to 8bc9eef: it made what 0014 and 0015 make
    if exists (select from pg_attribute where attrelid = to_regclass('rule_state') and attname = 'version' and not attisdropped)
        and not exists (select from _yoyo_migration where migration_id = '0014-rules-in-memory')
    then
        drop view if exists live_state, stored_lists, kept_out, written_rules;
        alter table rule_state drop column version;
    end if;
end
$$
