-- A row is one entry of the audit, the newest first; of a parameter that is null, all.
select a.at, a.action, a.catalog, a.person, a.login, a.program, a.about, a.details, a.user_hash
from public.audit as a
where (%(catalog)s::text is null or a.catalog = %(catalog)s)
    and (%(person)s::text is null or a.person = %(person)s)
    and (%(action)s::text is null or a.action = %(action)s)
    and (%(since)s::timestamptz is null or a.at >= %(since)s)
    and (%(user_id)s::text is null or a.user_hash = public.audit_hash(%(catalog)s, %(user_id)s))
order by a.at desc, a.audit_id desc
limit %(n)s
