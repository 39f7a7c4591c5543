-- The one row counts a loaded batch's lists, those that are not empty, and hashes them all as recjobs.core.lists.checksum does.
select
    count(*) as n_users,
    count(*) filter (where n_items > 0) as n_filled,
    coalesce(encode(sha256(string_agg(digest, ''::bytea order by user_id)), 'hex'), encode(sha256(''::bytea), 'hex')) as checksum
from (
    select
        user_id,
        cardinality(item_ids) as n_items,
        sha256(
            convert_to(concat_ws(E'\x1f', user_id, array_to_string(item_ids, E'\x1f'), source, n_model::text), 'UTF8')
            || array_send(scores)
        ) as digest
    from {partition}
) as lists
