"""Small parquet files of harmless records beside this script: turns.parquet (zstd) and fields.parquet (snappy).

usage:
    pip install pyarrow==26.0.1
    python make_parquet.py
"""
import os

import pyarrow
import pyarrow.parquet

HERE = os.path.dirname(os.path.abspath(__file__))
USER, ANSWER = {"role": "user", "content": "say hello, 世界"}, {"role": "assistant", "content": "hello 👋"}


def write(name, compression, columns):
    pyarrow.parquet.write_table(pyarrow.table(columns), os.path.join(HERE, name), compression=compression)


write("turns.parquet", "zstd", {"messages": [[USER, ANSWER], [USER]]})
write("fields.parquet", "snappy", {
    "id": pyarrow.array([2**60, 2], pyarrow.int64()),
    "prompt": ["add 1 + 1", "add 2 + 2"],
    "response": ["2", "4"],
    "reference": ["2", None],
    "score": [0.5, 1.0],
})
