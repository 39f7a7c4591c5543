-- No row of use: what a night read, its findings, drift and first quarantined rows are stored.
select record_input(%(input)s::jsonb, %(findings)s::jsonb, %(drift)s::jsonb, %(rejected)s::jsonb)
