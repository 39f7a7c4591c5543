-- No row: the partition leaves its table; readers go on reading.
alter table {parent} detach partition {partition} concurrently
