import sqlalchemy as sa
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import orm

context_manager = enginefacade.transaction_context()
Base = orm.declarative_base()


class Service(Base):
    __tablename__ = "services"

    id = sa.Column(sa.Integer, primary_key=True)
    host = sa.Column(sa.String(255))  # not unique, as in cinder
    report_count = sa.Column(sa.Integer, default=0, nullable=False)


@enginefacade.transaction_context_provider
class Context:
    pass


def configure(conf):
    context_manager.configure(connection=conf.database.connection)


def get_engine():
    return context_manager.writer.get_engine()


@context_manager.writer
def service_create(context, values):
    service = Service(**values)
    context.session.add(service)
    return service


@context_manager.reader
def service_get_all(context, host=None, sort_key="id", limit=None, marker=None):
    query = context.session.query(Service).order_by(sort_key)
    if host:
        query = query.filter_by(host=host)
    if marker:
        query = query.filter(Service.id > marker)
    return query.limit(limit).all()


@context_manager.writer
def service_update(context, service_id, values):
    """Update a service; call `seen` between the read and the write."""
    seen = values.pop("seen", lambda: None)
    service = context.session.get(Service, service_id)
    seen()
    service.report_count += values["reports"]
    return service.report_count


def service_ensure(context, host):
    """Return the id of the service on a host; create it in an independent transaction if there is none."""
    with context_manager.writer.independent.using(context) as session:
        service = session.query(Service).filter_by(host=host).first() or Service(host=host)
        session.add(service)
        session.flush()
        return service.id
