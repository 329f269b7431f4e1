"""Signing agreements: only what the department's officer confirmed, and only after looking at the content itself."""

from datong.kernel import DepartmentCode, Refused, Text
from datong.ledger import Signer
from datong.node.hub_client import HubClient
from datong.sharing import Agreement


def check_agreement(agreement: Agreement, department: DepartmentCode) -> None:
    """Check that an agreement is one that this department's key may sign.

    Raises:
        Refused: `node.agreement_not_ours`, `node.agreement_not_confirmed`, `node.agreement_empty`.
    """
    if department not in {agreement.provider, agreement.consumer}:
        raise _refused(
            "agreement_not_ours",
            Text(
                zh=f"协议 {agreement.id} 的双方都不是本部门。",
                en=f"Neither party of the agreement {agreement.id} is this department.",
            ),
        )
    if department not in {confirmation.department for confirmation in agreement.confirmations}:
        raise _refused(
            "agreement_not_confirmed",
            Text(
                zh=f"协议 {agreement.id} 尚未由本部门的数据管理员确认。",
                en=f"This department's officer has not confirmed the agreement {agreement.id}.",
            ),
        )
    if not agreement.items or agreement.purpose.valid_from >= agreement.purpose.valid_until:
        raise _refused(
            "agreement_empty",
            Text(
                zh=f"协议 {agreement.id} 没有信息项或有效期。",
                en=f"The agreement {agreement.id} has no items, or no time in which it holds.",
            ),
        )


def sign_confirmed(client: HubClient, signer: Signer, department: DepartmentCode) -> tuple[str, ...]:
    """Sign every agreement that waits for this department, and return their ids.

    Raises:
        Refused: the hub asks for a signature that the officer did not allow.
    """
    signed = []
    for agreement in client.agreements_to_sign():
        check_agreement(agreement, department)
        # The bytes are computed here, from the content, and not taken from the hub.
        client.sign_agreement(agreement.id, signer.sign(agreement.signing_bytes()))
        signed.append(str(agreement.id))
    return tuple(signed)


def _refused(code: str, what: Text) -> Refused:
    return Refused(
        f"node.{code}",
        what=what,
        remedy=Text(zh="请联系平台运维核查。", en="Call the operator of the hub and have it looked into."),
    )
