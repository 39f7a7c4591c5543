-- A row is one batch whose lists are there, with its table of lists.
select b.batch_id, b.checksum, partition_name('top_n', b.batch_id) as "table"
from batch_records as b
where to_regclass(quote_ident(partition_name('top_n', b.batch_id))) is not null
order by b.batch_id
