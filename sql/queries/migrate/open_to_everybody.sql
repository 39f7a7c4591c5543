-- A row is one statement that is still to be run, by who may: every role has what locks, writes or signals from PUBLIC; and
-- Postgres' log shows statements of our roles, which hold user ids, when they fail.
select format('grant execute on function %s to %I', o.function, o.role) as statement -- nights of the release before call it
from (values
    ('pg_advisory_lock(bigint)', 'recjobs_migrator'),
    ('pg_try_advisory_lock(bigint)', 'recjobs_loader'),
    ('pg_try_advisory_xact_lock(bigint)', 'recjobs_owner')
) as o (function, role)
where not exists (
    select from pg_proc as p, aclexplode(p.proacl) as a
    where p.oid = o.function::regprocedure and a.grantee = o.role::regrole and a.privilege_type = 'EXECUTE'
)
union all
select format('revoke execute on function %s from public', string_agg(p.oid::regprocedure::text, ', ' order by p.proname, p.oid))
from pg_proc as p
where p.pronamespace = 'pg_catalog'::regnamespace and has_function_privilege('public', p.oid, 'execute')
    and p.proname ~ '^(pg_(try_)?advisory_.*|lo_.*|loread|lowrite|pg_(cancel|terminate)_backend|pg_notify|pg_logical_emit_message|pg_export_snapshot|pg_current_xact_id|txid_current)$'
having count(*) > 0
union all
select format('alter role %I set %s = %L', r.rolname, s.name, s.value)
from pg_roles as r
cross join (values
    ('log_min_error_statement', 'panic'), ('log_parameter_max_length_on_error', '0'), ('log_error_verbosity', 'terse')
) as s (name, value)
where r.rolname in ('recjobs_web', 'recjobs_reader', 'recjobs_editor', 'recjobs_loader', 'recjobs_publisher')
    and not coalesce(r.rolconfig, '{}') @> array[s.name || '=' || s.value]
