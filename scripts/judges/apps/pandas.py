"""pandas: data frames that are written to tables and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

ROWS = 1000


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return what is read after writing, appending and replacing."""
    engine = sa.create_engine(url)
    frame = pd.DataFrame(
        {
            "number": np.arange(ROWS),
            "real": np.linspace(0, 1, ROWS),
            "text": [f"text {number % 7}" for number in range(ROWS)],
            "at": pd.date_range("2024-01-01", periods=ROWS, freq="min"),
            "flag": np.arange(ROWS) % 2 == 0,
            "missing": [None if number % 3 else float(number) for number in range(ROWS)],
        }
    )
    written = frame.to_sql("frame", engine, index=False, chunksize=300, method="multi")
    back = pd.read_sql_table("frame", engine)
    seen = {
        "written": written,
        "the same": bool(back.equals(frame)),
        "types": {name: str(kind) for name, kind in back.dtypes.items()},
        "query": pd.read_sql_query(
            sa.text(
                "SELECT text, sum(number) AS s, round(avg(real), 9) AS a FROM frame WHERE flag "
                "GROUP BY text ORDER BY text"
            ),
            engine,
        ).to_dict("list"),
        "chunks": [len(chunk) for chunk in pd.read_sql("SELECT * FROM frame", engine, chunksize=400)],
        "parameters": pd.read_sql(
            sa.text("SELECT number FROM frame WHERE at >= :at ORDER BY number LIMIT 3"),
            engine,
            params={"at": "2024-01-01 10:00:00.000000"},
        )["number"].tolist(),
    }
    frame.head(10).to_sql("frame", engine, index=False, if_exists="append")
    seen["appended"] = int(pd.read_sql("SELECT count(*) AS n FROM frame", engine)["n"][0])
    indexed = frame.set_index("number").head(5)
    indexed.to_sql("frame", engine, if_exists="replace", dtype={"text": sa.String(20)})
    seen["replaced"] = pd.read_sql_table("frame", engine, index_col="number", columns=["text"]).to_dict()["text"]
    try:
        frame.to_sql("frame", engine)
    except ValueError as error:
        seen["exists"] = str(error)
    seen["indexes"] = [index["column_names"] for index in sa.inspect(engine).get_indexes("frame")]
    engine.dispose()
    return seen
