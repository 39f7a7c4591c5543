-- A row is one item of the live batch: the one whose id is $1, or one whose title has all of the words ($2, as patterns)
-- in capitals or not; of the first $3 titles at most $4, the id first, then the items of most users.
select f.item_id, f.title, f.categories, f.n_users, f.available
from (
    select i.item_id, i.title, i.categories, i.n_users, i.available
    from items as i
    where i.item_id = $1
    union all
    select t.item_id, t.title, t.categories, t.n_users, t.available
    from (select i.item_id, i.title, i.categories, i.n_users, i.available from items as i limit $3) as t
    where lower(t.title) like all (array(select lower(p.pattern) from unnest($2::text[]) as p (pattern)))
        and t.item_id <> $1
) as f
order by f.item_id <> $1, f.n_users desc, f.item_id
limit $4
