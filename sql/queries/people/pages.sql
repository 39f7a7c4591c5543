-- A row is one night's report that may show a user id: as it is, or with signs that HTML writes in another way.
select r.batch_id, r.html
from report_records as r
where position(%(user_id)s in r.html) > 0 or %(user_id)s ~ '[<>&"''\\]'
order by r.batch_id
