-- The one row says whether a sign-in, $1 its hash, has ended by signing out.
select exists (select from public.ended_sign_ins as e where e.sign_in = $1) as has_ended
