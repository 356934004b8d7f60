-- Which executions asked for what another one had asked for and nobody had begun yet. Asked again by Step Functions, one of them
-- would otherwise ask for whatever was uploaded in between, too.
ALTER TABLE erasures ADD COLUMN joined_by text[] NOT NULL DEFAULT '{}';
