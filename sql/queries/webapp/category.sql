-- The one row says that some item of the live batch is of a category ($1); no row: none is.
select true as found
from items as i
where $1 = any(i.categories)
limit 1
