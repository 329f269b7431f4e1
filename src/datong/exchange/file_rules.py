"""The rules of files in exchange: a claim and the known state in, nothing or an error out. No I/O."""

from collections.abc import Collection

from datong.exchange.file_values import FileManifest, FileReceipt, FileRecord, FileState, SignedFile
from datong.kernel import Conflict, Corrupt, DepartmentCode, NodeId, Refused, Text, TooLarge


def check_same(known: SignedFile, announced: SignedFile) -> None:
    """Check that a file that is announced again is the same.

    Raises:
        Conflict: `exchange.file_id_taken`.
    """
    if known != announced:
        raise Conflict(
            "exchange.file_id_taken",
            what=Text(zh="该文件编号已被占用。", en="The file's id is taken."),
            remedy=Text(zh="请使用新的文件编号。", en="Use a new id."),
        )


def check_sender(manifest: FileManifest, node: NodeId) -> None:
    """Check that the node that acts is the one that sends.

    Raises:
        Refused: `exchange.not_the_sender`.
    """
    if node != manifest.sender_node:
        raise Refused(
            "exchange.not_the_sender",
            what=Text(zh="该前置机不是此文件的发送方。", en="This node is not the sender of the file."),
            remedy=Text(zh="请由发送方的前置机执行。", en="Let the sending node do it."),
        )


def check_signer(manifest: FileManifest, key_id: str, department: DepartmentCode, *, revoked: bool) -> None:
    """Check that the signing key belongs to the sender and is in use.

    Raises:
        Refused: `exchange.wrong_signer`.
    """
    if department != manifest.sender or revoked:
        raise Refused(
            "exchange.wrong_signer",
            what=Text(
                zh=f"签名密钥 {key_id} 不是发送部门的有效密钥。",
                en=f"The key {key_id} is no valid key of the sending department.",
            ),
            remedy=Text(zh="请用发送部门前置机的密钥签名。", en="Sign with the key of the sender's node."),
        )


def check_recipient(manifest: FileManifest, recipient: DepartmentCode) -> None:
    """Check that a file goes to whom its agreement names.

    Raises:
        Refused: `exchange.wrong_parties`.
    """
    if manifest.recipient != recipient:
        raise Refused(
            "exchange.wrong_parties",
            what=Text(zh="收件部门不是协议的需求部门。", en="The recipient is not the consumer of the agreement."),
            remedy=Text(zh="请核对协议编号。", en="Check the agreement."),
        )


def check_sealing(manifest: FileManifest, in_force: Collection[str]) -> None:
    """Check that a file is sealed to keys of its recipient only.

    Raises:
        Refused: `exchange.wrong_recipient`.
    """
    keys = () if manifest.sealing is None else manifest.sealing.key_ids
    if set(keys) - set(in_force) or len(set(keys)) != len(keys):
        raise Refused(
            "exchange.wrong_recipient",
            what=Text(
                zh="文件加密给了不是收件部门有效收件密钥的密钥。",
                en="The file is sealed to keys that are no recipient keys of its recipient in force.",
            ),
            remedy=Text(zh="请撤回后重新发送。", en="Withdraw it and send it again."),
        )


def check_quota(manifest: FileManifest, held_bytes: int, quota_bytes: int) -> None:
    """Check that a department does not fill the hub with its files.

    Raises:
        TooLarge: `exchange.file_quota`.
    """
    if held_bytes + manifest.payload_bytes > quota_bytes:
        raise TooLarge(
            "exchange.file_quota",
            what=Text(
                zh=f"本部门在途和留存的文件已有 {held_bytes:,} 字节，加上本文件将超过限额 {quota_bytes:,} 字节。",
                en=f"The department's files at the hub take {held_bytes:,} bytes; with this one they would exceed the "
                f"quota of {quota_bytes:,}.",
            ),
            remedy=Text(
                zh="请等待收件方签收，或撤回不需要的文件，或请运维员调整限额。",
                en="Wait for receipts, withdraw files that are not needed, or have the operator raise the quota.",
            ),
            context={"held_bytes": held_bytes, "quota_bytes": quota_bytes},
        )


def check_state(record: FileRecord, *admitted: FileState) -> None:
    """Check that a file is in a state in which the act is possible.

    Raises:
        Conflict: `exchange.file_state`.
    """
    if record.state not in admitted:
        raise _state(record)


def check_kept(record: FileRecord) -> None:
    """Check that the hub holds the content of a file.

    Raises:
        Conflict: `exchange.file_state`.
    """
    if not record.is_kept:
        raise _state(record)


def check_content(manifest: FileManifest, digest: str, size: int) -> None:
    """Check what arrived against what was signed.

    Raises:
        Corrupt: `exchange.payload_digest`.
    """
    if (digest, size) != (manifest.payload_digest, manifest.payload_bytes):
        raise Corrupt(
            "exchange.payload_digest",
            what=Text(
                zh="收到的文件与签名清单的摘要不符。",
                en="What arrived does not have the digest of the signed manifest.",
            ),
            remedy=Text(
                zh="请重新上传；若文件在发送期间被修改，请重新发送。",
                en="Upload it again; send it anew if it was changed meanwhile.",
            ),
            context={"expected": manifest.payload_digest, "received": digest, "received_bytes": size},
        )


def check_receipt(manifest: FileManifest, receipt: FileReceipt, signer: DepartmentCode, *, revoked: bool) -> None:
    """Check that a receipt speaks of this file and is signed for its recipient.

    Raises:
        Corrupt: `exchange.receipt_mismatch`. Refused: `exchange.wrong_recipient_signer`.
    """
    if (receipt.manifest_digest, receipt.recipient) != (manifest.digest, manifest.recipient):
        raise Corrupt(
            "exchange.receipt_mismatch",
            what=Text(zh="回执与文件清单不符。", en="The receipt does not fit the file's manifest."),
            remedy=Text(zh="请重新接收该文件。", en="Receive the file again."),
        )
    if signer != manifest.recipient or revoked:
        raise Refused(
            "exchange.wrong_recipient_signer",
            what=Text(zh="签名密钥不是收件部门的有效密钥。", en="The signing key is no valid key of the recipient."),
            remedy=Text(zh="请用收件部门前置机的密钥签名。", en="Sign with the key of the recipient's node."),
        )


def _state(record: FileRecord) -> Conflict:
    gone = record.disposed_at is not None
    label = record.state.label
    return Conflict(
        "exchange.file_state",
        what=Text(
            zh=f"文件状态为“{label.zh}”{'，内容已删除' if gone else ''}，不能执行此操作。",
            en=f"The file is {record.state.value}{' and its content is gone' if gone else ''}: this is not possible.",
        ),
        remedy=Text(
            zh="请刷新查看最新状态；需要时请重新发送。", en="Look at its present state; send it again if needed."
        ),
        context={"state": record.state.value},
    )
