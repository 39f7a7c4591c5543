-- The one row says whether this schema notes the texts of its migrations.
select to_regclass('applied_migrations') is not null as noted
