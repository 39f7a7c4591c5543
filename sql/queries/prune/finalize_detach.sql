-- No row: a detach that was interrupted is brought to its end.
alter table {parent} detach partition {partition} finalize
