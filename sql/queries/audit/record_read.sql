-- The one row is true once the audit has that the caller looked at what somebody bought.
select public.record_read(current_schema(), %(user_id)s, %(how)s) is null as done
