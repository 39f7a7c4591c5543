create or replace view items as
select
    i.item_id, i.title, i.categories, i.price,
    -- Shops show them as links: an address of the web or a relative one, no javascript: or other scheme.
    case when i.url ~* '^https?://' or i.url !~ '^[^/?#]*:' then i.url end as url,
    case when i.image ~* '^https?://' or i.image !~ '^[^/?#]*:' then i.image end as image,
    i.available, i.n_users, i.batch_id
from item_records as i
where i.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view items is 'A row is one item of the live batch; an url or image of another scheme than http and https is null';
