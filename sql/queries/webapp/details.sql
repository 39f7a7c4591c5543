-- A row is what the live batch knows of one item, for each of the items asked for ($1).
select i.item_id, i.title, i.categories, i.price, i.available, i.n_users, i.url
from unnest($1::text[]) as asked (item_id)
cross join lateral (select * from items as o where o.item_id = asked.item_id) as i
