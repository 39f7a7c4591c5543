create or replace view previous_items as
select i.item_id, i.title, i.categories, i.batch_id
from item_records as i
where i.batch_id = (select p.batch_id from previous_batch as p);
comment on view previous_items is 'A row is one item of the batch that was live before';
