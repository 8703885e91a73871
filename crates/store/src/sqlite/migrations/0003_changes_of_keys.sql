-- Postgres tells the processes that share it which credentials and API keys change. This file is one process's alone.
SELECT 1;
