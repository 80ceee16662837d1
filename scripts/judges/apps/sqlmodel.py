"""SQLModel in a FastAPI application, with many clients at once. It reads annotations, which must not be texts."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Relationship, Session, SQLModel, col, create_engine, func, select

CLIENTS = 8
HEROES = 80


class Team(SQLModel, table=True):
    """A team."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True, unique=True)
    heroes: list["Hero"] = Relationship(back_populates="team")


class Hero(SQLModel, table=True):
    """A member of a team."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True, unique=True)
    age: int | None = None
    team_id: int | None = Field(default=None, foreign_key="team.id")
    team: Team | None = Relationship(back_populates="heroes")


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return the responses to clients that create heroes, some of them twice, and to queries."""
    arguments = {"check_same_thread": False, "timeout": 60} if url.startswith("sqlite") else {}
    engine = create_engine(url, connect_args=arguments)
    SQLModel.metadata.create_all(engine)
    with TestClient(application(engine)) as client, ThreadPoolExecutor(CLIENTS) as pool:
        for team in ("red", "blue"):
            client.post("/teams", json={"name": team})
        heroes = [{"name": f"hero{number}", "age": number, "team_id": 1 + number % 2} for number in range(HEROES)]
        statuses = pool.map(lambda hero: client.post("/heroes", json=hero).status_code, heroes + heroes[::4])
        seen = {
            "statuses": sorted(Counter(statuses).items()),
            "page": client.get("/heroes?offset=10&limit=3").json(),
            "teams": client.get("/teams").json(),
            "missing": client.get("/heroes/9999").status_code,
        }
    engine.dispose()
    return seen


def application(engine: Any) -> FastAPI:
    """Return the application."""
    app = FastAPI()

    def session() -> Any:
        with Session(engine) as opened:
            yield opened

    opened = Depends(session)

    @app.post("/teams", status_code=201)
    def create_team(team: Team, session: Session = opened) -> Any:
        session.add(team)
        session.commit()
        return {}

    @app.post("/heroes", status_code=201)
    def create_hero(hero: Hero, session: Session = opened) -> Any:
        session.add(hero)
        try:
            session.commit()
        except IntegrityError as error:
            raise HTTPException(409) from error
        return {}

    @app.get("/heroes")
    def heroes(offset: int, limit: int, session: Session = opened) -> Any:
        query = select(Hero, Team).join(Team).order_by(col(Hero.age).desc()).offset(offset).limit(limit)
        return [[hero.name, team.name] for hero, team in session.exec(query)]

    @app.get("/heroes/{key}")
    def hero(key: int, session: Session = opened) -> Any:
        found = session.get(Hero, key)
        if found is None:
            raise HTTPException(404)
        return {"name": found.name}

    @app.get("/teams")
    def teams(session: Session = opened) -> Any:
        counts = select(Team.name, func.count(col(Hero.id)), func.avg(Hero.age)).join(Hero).group_by(Team.name)
        return [list(row) for row in session.exec(counts.order_by(Team.name))]

    return app
