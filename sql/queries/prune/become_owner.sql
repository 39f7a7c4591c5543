-- No row: the session acts as the owner, and gives up after five seconds behind somebody's lock.
set role recjobs_owner; set lock_timeout = '5s'
