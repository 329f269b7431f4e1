"""What agreements offer for tasks: sharing knows the agreement, the catalogue the binding, identity the nodes."""

from datong.catalogue import Catalogue
from datong.exchange import ColumnMap, NodeChoice, TaskOffer
from datong.kernel import AgreementId
from datong.sharing import Agreements, Identity


class AgreementOffers:
    """Satisfies `exchange.TaskOffers`."""

    def __init__(self, *, agreements: Agreements, catalogue: Catalogue, identity: Identity) -> None:
        self._agreements = agreements
        self._catalogue = catalogue
        self._identity = identity

    def offer(self, agreement_id: AgreementId) -> TaskOffer:
        """Return what an agreement offers; the binding is that of the resource as it is published now.

        Raises:
            NotFound: there is no such agreement.
        """
        agreement = self._agreements.get(agreement_id)
        binding = self._catalogue.published(agreement.resource_id).content.binding
        nodes = {node.id: node for party in agreement.parties for node in self._identity.nodes(party)}
        return TaskOffer(
            agreement_id=agreement.id,
            title=agreement.resource_title,
            resource_id=agreement.resource_id,
            resource_version=agreement.resource_version,
            provider=agreement.provider,
            consumer=agreement.consumer,
            columns=tuple(ColumnMap(column=item.column, item=item.name.zh) for item in agreement.items),
            key_columns=() if binding is None else binding.key_columns,
            cursor_column=None if binding is None else binding.cursor_column,
            producer_node=None if binding is None else binding.node_id,
            source="" if binding is None else binding.source,
            table="" if binding is None else binding.table,
            nodes=tuple(NodeChoice(id=node.id, name=node.name, department=node.department) for node in nodes.values()),
        )
