-- The one row counts a loaded batch's lists and hashes them as recjobs.core.checksum does.
select
    count(*) as n_users,
    coalesce(encode(sha256(string_agg(digest, ''::bytea order by user_id)), 'hex'), encode(sha256(''::bytea), 'hex')) as checksum
from (
    select
        user_id,
        sha256(
            convert_to(concat_ws(E'\x1f', user_id, array_to_string(item_ids, E'\x1f'), source, n_model::text), 'UTF8')
            || array_send(scores)
        ) as digest
    from {partition}
) as lists
