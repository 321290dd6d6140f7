"""Events of conversations, event.proto and conversation.proto, as Protobuf's JSON."""

import base64
import struct

from faults import Fault
from protobuf import BYTES, FIXED64, VARINT, fields, packed_varints

ENUMS = {
    "ConversationKind": ("CONVERSATION_KIND", "DIRECT GROUP CHANNEL ROOM"),
    "MemberRole": ("MEMBER_ROLE", "READER MEMBER ADMIN OWNER"),
    "HistoryVisibility": ("HISTORY_VISIBILITY", "JOINED ALL"),
    "JoinRule": ("JOIN_RULE", "ADDED OPEN"),
    "ReferenceKind": ("REFERENCE_KIND", "REPLY THREAD QUOTE COMMENT"),
    "AttachmentKind": ("ATTACHMENT_KIND", "IMAGE AUDIO VIDEO FILE"),
    "DeviceChange": ("DEVICE_CHANGE", "NAMED ENDED ADDED"),
    "TodoState": ("TODO_STATE", "OPEN DONE"),
}


def table(text):
    """Fields by number: name, kind, whether there may be many."""
    rows = {}
    for row in text.split():
        number, name, kind = row.split(":")
        rows[int(number)] = (name, kind.rstrip("*"), kind.endswith("*"))
    return rows


MESSAGES = {
    "Event": table(
        "1:message:Message 4:reactionChanged:ReactionChanged 5:marksChanged:MarksChanged"
        " 6:conversationChanged:ConversationChanged 7:preferencesChanged:PreferencesChanged"
        " 9:deviceChanged:DeviceChanged 10:profileChanged:ProfileChanged"
        " 11:contactsChanged:ContactsChanged 12:blocksChanged:BlocksChanged"
        " 13:draftChanged:DraftChanged 14:muteChanged:MuteChanged"
        " 15:todoChanged:TodoChanged"
    ),
    "Message": table(
        "1:conversationId:string 2:senderUserId:string 3:senderDeviceId:string 4:content:Content"
        " 5:reference:Reference 6:mentions:Mentions 7:editCount:uint32 8:editedMs:uint64"
        " 9:recalledByUserId:string 10:expiresMs:uint64"
    ),
    "Content": table("1:text:string 2:custom:bytes 3:attachment:Attachment 4:location:Location"),
    "Attachment": table(
        "1:kind:AttachmentKind 2:uri:string 3:mediaType:string 4:name:string 5:bytes:uint64"
        " 6:sha256:bytes 7:width:uint32 8:height:uint32 9:durationMs:uint32 10:caption:string"
    ),
    "Location": table("1:latitude:double 2:longitude:double 3:label:string"),
    "Reference": table("1:kind:ReferenceKind 2:conversationSeq:uint64"),
    "Mentions": table("1:userIds:string* 2:roles:MemberRole* 3:everyone:bool"),
    "ReactionChanged": table(
        "1:conversationId:string 2:conversationSeq:uint64 3:userId:string 4:reaction:string"
        " 5:removed:bool"
    ),
    "MarksChanged": table(
        "1:conversationId:string 2:userId:string 3:read:bytes 4:deliveredThrough:uint64"
    ),
    "ConversationChanged": table(
        "1:conversation:Conversation 2:byUserId:string 3:members:Member* 4:leftUserIds:string*"
    ),
    "Conversation": table(
        "1:conversationId:string 2:kind:ConversationKind 3:revision:uint64"
        " 4:settings:ConversationSettings 5:memberCount:uint32"
    ),
    "ConversationSettings": table(
        "1:title:string 2:topic:string 3:history:HistoryVisibility 4:join:JoinRule 5:lifetimeS:uint32"
    ),
    "Member": table("1:userId:string 2:role:MemberRole 3:ordinal:uint32 4:visibleFrom:uint64"),
    "PreferencesChanged": table("1:preferences:Preferences"),
    "Preferences": table("1:receiptsHidden:bool"),
    "DeviceChanged": table("1:deviceId:string 2:change:DeviceChange 3:name:string"),
    "DraftChanged": table("1:draft:Draft"),
    "Draft": table(
        "1:conversationId:string 2:content:Content 3:reference:Reference 4:mentions:Mentions"
        " 5:savedMs:uint64 6:deviceId:string"
    ),
    "MuteChanged": table("1:conversationId:string 2:untilMs:uint64"),
    "TodoChanged": table("1:conversationId:string 2:conversationSeq:uint64 3:todo:Todo"),
    "Todo": table("1:state:TodoState 2:byUserId:string 3:setMs:uint64"),
    "ProfileChanged": table("1:userId:string 2:profile:Profile 3:revision:uint64"),
    "Profile": table("1:displayName:string 2:about:string 3:avatarUri:string"),
    "ContactsChanged": table("1:set:Contact* 2:removedUserIds:string* 3:revision:uint64"),
    "Contact": table("1:userId:string 2:alias:string 3:note:string"),
    "BlocksChanged": table(
        "1:blockedUserIds:string* 2:unblockedUserIds:string* 3:revision:uint64"
    ),
}


def _wire_of(kind):
    if kind in MESSAGES or kind in ("string", "bytes"):
        return BYTES
    return FIXED64 if kind == "double" else VARINT


def _scalar(kind, value):
    """As Protobuf's JSON; None for a default."""
    if kind == "string":
        try:
            return value.decode("utf-8") or None
        except UnicodeDecodeError:
            raise Fault("parse", "a text that is not UTF-8") from None
    if kind == "bytes":
        return base64.b64encode(value).decode("ascii") or None
    if kind == "double":
        return struct.unpack("<d", value)[0] or None
    if kind == "bool":
        return value != 0 or None
    if kind == "uint64":
        return str(value) if value else None
    if kind in ENUMS and 0 < value <= len(ENUMS[kind][1].split()):
        prefix, names = ENUMS[kind]
        return f"{prefix}_{names.split()[value - 1]}"
    return value % 2**32 or None


def decode(data, name="Event"):
    message = {}
    for number, wire, value in fields(data):
        key, kind, is_many = MESSAGES[name].get(number, (None, None, None))
        if key is None:
            continue
        items = [value]
        if is_many and wire == BYTES and _wire_of(kind) == VARINT:
            items = packed_varints(value)
        elif wire != _wire_of(kind):
            continue
        for item in items:
            said = decode(item, kind) if kind in MESSAGES else _scalar(kind, item)
            if is_many:
                message.setdefault(key, []).append(said)
            elif said is None:
                message.pop(key, None)
            else:
                message[key] = said
    return message


def meaning(event):
    """What an event says: section 16.3 for messages."""
    if "message" in event:
        message = event["message"]
        if "recalledByUserId" in message:
            return "message-recalled"
        if "content" not in message:
            return "message-expired"
        return "message-edited" if "editCount" in message else "message"
    if "reactionChanged" in event:
        return "reaction-removed" if "removed" in event["reactionChanged"] else "reaction"
    if "draftChanged" in event:
        return "draft" if "content" in event["draftChanged"].get("draft", {}) else "draft-gone"
    if "muteChanged" in event:
        return "mute" if "untilMs" in event["muteChanged"] else "unmute"
    if "todoChanged" in event:
        state = event["todoChanged"].get("todo", {}).get("state", "")
        return f"todo-{state.removeprefix('TODO_STATE_').lower() or 'removed'}"
    others = {"marksChanged": "marks", "conversationChanged": "conversation"}
    others["preferencesChanged"] = "preferences"
    others["deviceChanged"] = "device"
    others |= {"profileChanged": "profile", "contactsChanged": "contacts"}
    others["blocksChanged"] = "blocks"
    return next((others[kind] for kind in event), "unknown")
