"""The console in a browser. With ROME_WRITE_SCREENSHOTS=1 the screenshots of the documentation are made anew."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import rome
from rome import metrics
from tests.cli.browser import CHROMIUM, Browser

pytest.importorskip("starlette")
IMAGES = Path(__file__).parents[2] / "docs/command/images"
PAGES = {
    "tables": ("0/", "index entries"),
    "schema": ("0/schema", "orders_state"),
    "rows": ("0/tables/customers?f.city=~R%25&sort=name", "round trip"),
    "commits": ("0/commits", "appear as they happen"),
    "activity": ("0/activity", "Slowest statements"),
}
TOKEN = "a-token-of-the-tests"
SCHEMA = """
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE, city TEXT);
    CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price NUMERIC, stock INTEGER);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers, state TEXT);
    CREATE TABLE items (order_id INTEGER REFERENCES orders, product INTEGER REFERENCES products, quantity INTEGER,
                        PRIMARY KEY (order_id, product)) WITHOUT ROWID;
    CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT, parent INTEGER REFERENCES categories);
    CREATE INDEX orders_state ON orders (state);
"""
URL = "rome+file://./shop.rome"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A connection to a shop's database in the current directory, whose statements are published."""
    former, arguments = Path.cwd(), sys.argv
    os.chdir(tmp_path_factory.mktemp("console"))
    sys.argv = ["shop"]
    metrics.publish(URL, every=1)
    connection = rome.connect(URL)
    connection.cursor().executescript(SCHEMA)
    cities = ("Roma", "Ostia", "Rimini", "Pisa")
    customers = [(at, f"Customer {at}", f"c{at}@example.org", cities[at % 4]) for at in range(1, 201)]
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", customers)
    products = [(at, f"Amphora {at}", at) for at in range(1, 41)]
    connection.executemany("INSERT INTO products VALUES (?, ?, ?, 50)", products)
    connection.commit()
    for order in range(1, 31):
        connection.execute("INSERT INTO orders VALUES (?, ?, 'new')", (order, order))
        connection.execute("INSERT INTO items VALUES (?, ?, 2)", (order, order))
        connection.execute("UPDATE products SET stock = stock - 2 WHERE id = ?", (order,))
        connection.commit()
    yield connection
    connection.close()
    metrics.stop()
    os.chdir(former)
    sys.argv = arguments


@pytest.fixture(scope="module")
def address(shop):
    """The address of a console of the shop."""
    command = [sys.executable, "-m", "rome.cli", "console", URL, "--port", "0", "--token", TOKEN]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().partition("/?")[0]
    server.send_signal(signal.SIGINT)
    server.wait()


@pytest.fixture
def browser(tmp_path):
    found = Browser(tmp_path / "profile")
    yield found
    found.close()


def test_pages(browser, address):
    browser.open(f"{address}/?token={TOKEN}", "Tables")
    for name, (path, expected) in PAGES.items():
        browser.open(f"{address}/{path}", expected)
        image = browser.screenshot()
        assert image.startswith(b"\x89PNG")
        assert len(image) > 15_000
        if os.environ.get("ROME_WRITE_SCREENSHOTS"):
            IMAGES.mkdir(exist_ok=True)
            (IMAGES / f"console-{name}.png").write_bytes(image)


def test_commits_appear_as_they_happen(browser, address, shop):
    browser.open(f"{address}/0/commits?token={TOKEN}", "appear as they happen")
    shop.execute("INSERT INTO products VALUES (99, ?, 1, 1)", ("<b>new</b>",))
    shop.commit()
    text = browser.wait("name=<b>new</b>")
    assert text.index("id=99") < text.index("id=30")


def test_pages_work_without_scripts(browser, address):
    browser.switch_scripts_off()
    text = browser.open(f"{address}/0/commits?token={TOKEN}", "Customer 20")
    assert "Load the page again" in text


def test_statements_are_sent_by_the_form(browser, address):
    browser.open(f"{address}/0/sql?token={TOKEN}", "Statements that write are refused")
    for button, expected in (("run", "Customer 7"), ("explain", "lookup")):
        browser.run("document.querySelector('textarea').value = 'SELECT name FROM customers WHERE id = 7'")
        browser.run(f"document.querySelector('button[value={button}]').click()")
        browser.wait(expected)


def test_no_page_is_wider_than_a_narrow_window(browser, address):
    browser.resize(360, 720)
    browser.open(f"{address}/?token={TOKEN}", "Tables")
    for path, expected in PAGES.values():
        browser.open(f"{address}/{path}", expected)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), path
