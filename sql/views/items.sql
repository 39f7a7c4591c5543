create or replace view items as
select i.item_id, i.title, i.categories, i.price, i.url, i.image, i.available, i.n_users, i.batch_id
from item_records as i
where i.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view items is 'A row is one item of the live batch';
