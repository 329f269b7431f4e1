"""Named limits. Whatever queues, pages, buffers or waits is bounded by one of these."""

PAGE_ROWS_DEFAULT = 20
PAGE_ROWS_MAX = 200
NAME_CHARS_MAX = 200
TEXT_CHARS_MAX = 4000
ITEMS_PER_RESOURCE_MAX = 1000
FIELD_COMMENTS_MAX = 200
LEDGER_ENTRY_BYTES_MAX = 65535
"""C2SP tlog-tiles frames an entry with a 16-bit length."""
UPLOAD_CHUNK_BYTES_MAX = 16 * 1024 * 1024
BATCH_ROWS_DEFAULT = 500_000
READ_ROWS_MAX = 50_000
"""Connectors hand out rows in pieces of at most so many; several pieces make a batch."""
PAYLOAD_BYTES_MAX = 56 * 1024 * 1024
"""A batch is cut before its rows, unpacked, need more memory than this (unless one piece does)."""
FIRST_PAYLOAD_BYTES_MAX = 8 * 1024 * 1024
"""The same of a run's first part, which the hub digests again: little work for it, and the consumer begins early."""
CONTENT_CHECK_ROWS_MAX = 20_000
"""Batches of up to so many rows have their content digest computed by the hub as well."""
BATCH_BYTES_MAX = 1024 * 1024 * 1024
REQUEST_BODY_BYTES_MAX = 8 * 1024 * 1024
GATEWAY_ITEMS_MAX = 100
POLL_WAIT_SECONDS_MAX = 30
RETRY_ATTEMPTS_MAX = 11
RETRY_DELAY_SECONDS_MAX = 30.0
