import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import customers  # noqa: E402

sys.path.insert(0, customers.DATA)  # the package lifetimes, as it was published
