"""The services whose database tests run on ROME: packages, suites, and the tests that can't pass, with reasons."""

from dataclasses import dataclass, field

COMMON = ("ddt", "fixtures", "oslotest", "stestr", "testresources", "testscenarios", "testtools", "requests-mock")
"""Packages that the tests of services import, but that the services do not require."""


@dataclass(frozen=True)
class Service:
    """One release of a service.

    `etc`: the folder of the virtual environment that the tests expect as `etc` in the folder of the packages.
    `object_suites`: the suites of its versioned objects, which save and read by its database API.
    `options`: options of the ROME URL. `keep`: the tests create their tables once per process, so their databases are
    not dropped after each test. `first`: a module that must be imported first, because it patches the standard library.
    `discovery`: the discovery module to test. `expected`: test → the reason why it can't pass, or not always;
    `expected_there`: the same with the discovery module.
    """

    requirements: tuple[str, ...]
    suites: tuple[str, ...]
    etc: str
    object_suites: tuple[str, ...] = ()
    options: str = ""
    keep: bool = False
    first: str = ""
    discovery: str = ""
    expected: dict[str, str] = field(default_factory=dict)
    expected_there: dict[str, str] = field(default_factory=dict)


_OF_NEUTRON = {
    tuple(
        f"db.test_agentschedulers_db.OvsAgentSchedulerTestCase.test_{name}"
        for name in (
            "dhcp_agent_keep_services_off",
            "l3_agent_keep_services_off",
            "router_is_not_rescheduled_from_alive_agent",
            "router_no_reschedule_from_dead_admin_down_agent",
            "router_reschedule_failed_notification_all_attempts",
            "router_reschedule_from_dead_agent",
            "router_reschedule_succeeded_after_failed_notification",
            "router_rescheduler_catches_rpc_db_and_reschedule_exceptions",
            "router_rescheduler_iterates_after_reschedule_failure",
        )
    ): "It takes the first agent of a host without ORDER BY for the L3 agent; its DHCP agent has a random key, too.",
    tuple(
        f"db.test_l3_dvr_db.L3DvrTestCase.test_delete_current_gw_port_{name}"
        for name in (
            "deletes_csnat_port",
            "deletes_fip_agent_gw_port_and_fipnamespace",
            "never_calls_delete_fip_agent_gw_port",
        )
    ): "A transaction reads what another one has committed since it began; all of SQLite's share one connection.",
    tuple(
        f"db.test_l3_extra_gws_db.TestExtraGatewaysDb.test_{name}"
        for name in (
            "add_external_gateways_multiple",
            "add_external_gateways_overlapping_subnets",
            "add_external_gateways_single",
            "add_external_gateways_trivial",
            "compat_remove_via_update",
            "remove_external_gateways_multiple",
            "remove_external_gateways_remove_compat",
            "remove_external_gateways_single",
            "remove_external_gateways_trivial",
            "update_external_gateways_add_pristine_and_remove",
        )
    ): "A transaction writes rows that another one of its thread has locked; all of SQLite's share one connection.",
    ("db.test_l3_hamode_db.L3HAModeDbTestCase.test_update_router_port_bindings_updates_host_only",): "It expects one "
    "of two ports, which are read without ORDER BY, to be the last.",
    ("objects.test_router.RouterDbObjectTestCase.test_get_router_ids_without_router_std_attrs",): "It expects rows in "
    "the order of their insertion, without ORDER BY; their keys are random.",
}
"""Tests → the reason why they fail, or do so in some runs."""


SERVICES = {
    "nova": Service(
        ("nova==34.0.0", "sqlalchemy>=2.0,<2.1", "wsgi-intercept", "gabbi", "openstack-placement", *COMMON),
        ("nova.tests.unit.db.main.test_api", "nova.tests.functional.db", "nova.tests.unit.db"),
        etc="etc",
        object_suites=("nova.tests.unit.objects", "nova.tests.unit.conductor"),
        first="nova.tests.unit",
        discovery="rome_discovery.nova.api",
        options="foreign_keys=off",  # rows of its tests refer to rows that do not exist
        expected={
            "nova.tests.functional.db.test_flavor.FlavorObjectTestCase.test_get_with_projects_and_specs": "It "
            "saves a set and expects its members in the order of an index, without ORDER BY. ROME returns them by id.",
        },
    ),
    "cinder": Service(
        ("cinder==29.0.0", "sqlalchemy>=2.0,<2.1", "sqlalchemy-utils", *COMMON),
        ("cinder.tests.unit.test_db_api", "cinder.tests.unit.db"),
        etc="etc",
        first="cinder.tests.unit",
        discovery="rome_discovery.cinder.api",
        keep=True,
        options="foreign_keys=off",  # rows of its tests refer to rows that do not exist
        expected={
            "cinder.tests.unit.db.test_purge.PurgeDeletedTest.test_purge_deleted_rows_integrity_failure": "It turns "
            "foreign keys on again if the dialect is called sqlite; on ROME they stay off, for other tests.",
        },
        expected_there={
            "cinder.tests.unit.test_db_api.DBAPIServiceTestCase.test_service_get_all": "It creates several services of "
            "one host and binary; with the discovery module all of them are the first one's row.",
        },
    ),
    "glance": Service(
        ("glance==33.0.0", "sqlalchemy>=2.0,<2.1", "pyuwsgi", *COMMON),
        ("glance.tests.functional.db.test_sqlalchemy",),
        etc="etc/glance",
        keep=True,
    ),
    "glance19": Service(
        ("glance==19.0.4", "sqlalchemy<2", "oslo.db<12", "sqlalchemy-migrate", "setuptools<81", "mock", *COMMON),
        ("glance.tests.unit.v2.test_registry_api",),
        etc="etc/glance",
    ),
    "placement": Service(
        ("openstack-placement==16.0.0", "sqlalchemy>=2.0,<2.1", "gabbi", "wsgi-intercept", *COMMON),
        ("placement.tests.functional.db",),
        etc="etc",
    ),
    "keystone": Service(
        # python-ldap is built from source: on Debian it needs libldap2-dev and libsasl2-dev.
        (
            "keystone==30.0.0",
            "sqlalchemy>=2.0,<2.1",
            "freezegun",
            "ldappool",
            "lxml",
            "python-ldap",
            "webtest",
            *COMMON,
        ),
        ("keystone.tests.unit.test_backend_sql",),
        etc="etc",
        keep=True,
    ),
    "ironic": Service(
        ("ironic==39.0.0", "sqlalchemy>=2.0,<2.1", *COMMON),
        ("ironic.tests.unit.db",),
        etc="etc",
        keep=True,
        expected={
            "ironic.tests.unit.db.test_conductor.DbConductorTestCase.test_register_conductor_hardware_interfaces": "It "
            "expects the order of insertion, without ORDER BY. ROME returns rows in the order of an index.",
        },
    ),
    "heat": Service(
        ("openstack-heat==27.0.1", "sqlalchemy>=2.0,<2.1", *COMMON),
        ("heat.tests.db",),
        etc="etc",
        first="heat.tests.common",
        options="dialect=sqlite",  # if it is called so, some tests turn foreign keys on
        expected={
            "heat.tests.db.test_sqlalchemy_api.DBAPICryptParamsPropsTest.test_encrypt_decrypt_verbose_on": "It expects "
            "ids from 1, after earlier tests have deleted all rows. ROME does not give an id twice.",
        },
    ),
    "manila": Service(
        ("manila==23.0.1", "sqlalchemy>=2.0,<2.1", *COMMON),
        ("manila.tests.db",),
        etc="etc",
        keep=True,
        options="foreign_keys=off",  # rows of its tests refer to rows that do not exist
        expected={
            f"manila.tests.db.sqlalchemy.test_api.{test}": "It expects the order of insertion, without ORDER BY. ROME "
            "returns rows by their keys, which are random."
            for test in (
                "ShareAccessDatabaseAPITestCase.test_share_access_get_all_for_share_2_3",
                "ShareAccessDatabaseAPITestCase.test_share_access_get_all_for_share_with_metadata",
                "ShareSnapshotDatabaseAPITestCase.test_share_snapshot_export_locations_get",
            )
        },
    ),
    "octavia": Service(
        ("octavia==19.0.0", "sqlalchemy>=2.0,<2.1", *COMMON),
        ("octavia.tests.functional.db",),
        etc="etc",
        expected={
            "octavia.tests.functional.db.test_repositories.AllRepositoriesTest.test_check_quota_met": "Two sessions "
            "add and lock one quota, each before the other commits; on SQLite they share a connection. ROME refuses.",
        },
    ),
    "barbican": Service(
        ("barbican==23.0.0", "sqlalchemy>=2.0,<2.1", "webtest", "pykmip", *COMMON),
        ("barbican.tests.model",),
        etc="etc",
        expected={
            f"barbican.tests.model.repositories.test_repositories_secret_stores.WhenTestingSecretStoresRepo.{test}": ""
            "It expects the order of insertion, but get_all() has no ORDER BY: it discards its own query.order_by()."
            for test in ("test_get_all", "test_get_all_check_sorting_order")
        },
    ),
    "designate": Service(
        ("designate==23.0.0", "sqlalchemy>=2.0,<2.1", *COMMON),
        ("designate.tests.functional.test_storage",),
        keep=True,
        options="foreign_keys=off",  # rows of its tests refer to rows that do not exist
        etc="etc",
    ),
    "neutron": Service(
        ("neutron==29.0.0", "sqlalchemy>=2.0,<2.1", "webtest", *COMMON),
        ("neutron.tests.unit.db", "neutron.tests.unit.objects"),
        etc="etc",
        keep=True,
        expected={f"neutron.tests.unit.{name}": reason for names, reason in _OF_NEUTRON.items() for name in names},
    ),
}
