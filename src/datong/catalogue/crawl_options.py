"""What a crawl is asked to do; apart from `crawl`, so that the command line need not wait for what crawling needs."""

from pydantic import Field

from datong.kernel import Value

SAMPLE_ROWS_DEFAULT = 20_000
SAMPLE_ROWS_MAX = 1_000_000


class CrawlOptions(Value):
    """How a source is crawled. `include` and `exclude` are shell patterns of table names; `again` begins anew."""

    sample_rows: int = Field(SAMPLE_ROWS_DEFAULT, ge=1, le=SAMPLE_ROWS_MAX)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    again: bool = False
