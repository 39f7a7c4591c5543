-- The one row is the report page of one night ($1).
select r.html
from reports as r
where r.batch_id = $1
