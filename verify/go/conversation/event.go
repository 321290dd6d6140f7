package conversation

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Event as Protobuf's JSON.
type Event = map[string]any

type field struct {
	name, kind string
	isMany     bool
}

var enums = map[string][]string{
	"ConversationKind":  names("CONVERSATION_KIND", "DIRECT GROUP CHANNEL ROOM"),
	"MemberRole":        names("MEMBER_ROLE", "READER MEMBER ADMIN OWNER"),
	"HistoryVisibility": names("HISTORY_VISIBILITY", "JOINED ALL"),
	"JoinRule":          names("JOIN_RULE", "ADDED OPEN"),
	"ReferenceKind":     names("REFERENCE_KIND", "REPLY THREAD QUOTE COMMENT"),
	"AttachmentKind":    names("ATTACHMENT_KIND", "IMAGE AUDIO VIDEO FILE"),
	"DeviceChange":      names("DEVICE_CHANGE", "NAMED ENDED ADDED"),
	"TodoState":         names("TODO_STATE", "OPEN DONE"),
}

var messages map[string]map[uint64]field

func init() {
	messages = map[string]map[uint64]field{
		"Event": table("1:message:Message 4:reactionChanged:ReactionChanged 5:marksChanged:MarksChanged " +
			"6:conversationChanged:ConversationChanged 7:preferencesChanged:PreferencesChanged " +
			"9:deviceChanged:DeviceChanged 10:profileChanged:ProfileChanged 11:contactsChanged:ContactsChanged " +
			"12:blocksChanged:BlocksChanged 13:draftChanged:DraftChanged 14:muteChanged:MuteChanged " +
			"15:todoChanged:TodoChanged"),
		"Message": table("1:conversationId:string 2:senderUserId:string 3:senderDeviceId:string 4:content:Content " +
			"5:reference:Reference 6:mentions:Mentions 7:editCount:uint32 8:editedMs:uint64 9:recalledByUserId:string " +
			"10:expiresMs:uint64"),
		"Content": table("1:text:string 2:custom:bytes 3:attachment:Attachment 4:location:Location"),
		"Attachment": table("1:kind:AttachmentKind 2:uri:string 3:mediaType:string 4:name:string 5:bytes:uint64 " +
			"6:sha256:bytes 7:width:uint32 8:height:uint32 9:durationMs:uint32 10:caption:string"),
		"Location":  table("1:latitude:double 2:longitude:double 3:label:string"),
		"Reference": table("1:kind:ReferenceKind 2:conversationSeq:uint64"),
		"Mentions":  table("1:userIds:string* 2:roles:MemberRole* 3:everyone:bool"),
		"ReactionChanged": table(
			"1:conversationId:string 2:conversationSeq:uint64 3:userId:string 4:reaction:string 5:removed:bool"),
		"MarksChanged":        table("1:conversationId:string 2:userId:string 3:read:bytes 4:deliveredThrough:uint64"),
		"ConversationChanged": table("1:conversation:Conversation 2:byUserId:string 3:members:Member* 4:leftUserIds:string*"),
		"Conversation": table(
			"1:conversationId:string 2:kind:ConversationKind 3:revision:uint64 4:settings:ConversationSettings 5:memberCount:uint32"),
		"ConversationSettings": table("1:title:string 2:topic:string 3:history:HistoryVisibility 4:join:JoinRule 5:lifetimeS:uint32"),
		"Member":               table("1:userId:string 2:role:MemberRole 3:ordinal:uint32 4:visibleFrom:uint64"),
		"PreferencesChanged":   table("1:preferences:Preferences"),
		"Preferences":          table("1:receiptsHidden:bool"),
		"DeviceChanged":        table("1:deviceId:string 2:change:DeviceChange 3:name:string"),
		"DraftChanged":         table("1:draft:Draft"),
		"Draft": table("1:conversationId:string 2:content:Content 3:reference:Reference 4:mentions:Mentions " +
			"5:savedMs:uint64 6:deviceId:string"),
		"MuteChanged": table("1:conversationId:string 2:untilMs:uint64"),
		"TodoChanged": table("1:conversationId:string 2:conversationSeq:uint64 3:todo:Todo"),
		"Todo":        table("1:state:TodoState 2:byUserId:string 3:setMs:uint64"),
		"ProfileChanged":       table("1:userId:string 2:profile:Profile 3:revision:uint64"),
		"Profile":              table("1:displayName:string 2:about:string 3:avatarUri:string"),
		"ContactsChanged":      table("1:set:Contact* 2:removedUserIds:string* 3:revision:uint64"),
		"Contact":              table("1:userId:string 2:alias:string 3:note:string"),
		"BlocksChanged":        table("1:blockedUserIds:string* 2:unblockedUserIds:string* 3:revision:uint64"),
	}
}

func names(prefix, list string) []string {
	var all []string
	for _, name := range strings.Fields(list) {
		all = append(all, prefix+"_"+name)
	}
	return all
}

func table(text string) map[uint64]field {
	rows := map[uint64]field{}
	for _, row := range strings.Fields(text) {
		parts := strings.Split(row, ":")
		number, _ := strconv.ParseUint(parts[0], 10, 32)
		kind, isMany := strings.CutSuffix(parts[2], "*")
		rows[number] = field{parts[1], kind, isMany}
	}
	return rows
}

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func wireOf(kind string) uint64 {
	switch _, isMessage := messages[kind]; {
	case isMessage || kind == "string" || kind == "bytes":
		return wireBytes
	case kind == "double":
		return wireFixed64
	}
	return wireVarint
}

// raw is the value of a field: a number, or bytes.
type raw struct {
	wire, number uint64
	bytes        []byte
}

func next(data []byte) (number uint64, value raw, rest []byte, err error) {
	malformed := faultf("parse", "a field that is cut")
	tag, n := binary.Uvarint(data)
	if n <= 0 || tag>>3 == 0 {
		return 0, raw{}, nil, malformed
	}
	rest, value.wire = data[n:], tag&7
	length := map[uint64]uint64{wireFixed64: 8, wireFixed32: 4}[value.wire]
	if value.wire == wireVarint || value.wire == wireBytes {
		if value.number, n = binary.Uvarint(rest); n <= 0 {
			return 0, raw{}, nil, malformed
		}
		rest = rest[n:]
	}
	if value.wire == wireBytes {
		length = value.number
	}
	if value.wire > wireBytes && value.wire != wireFixed32 || length > uint64(len(rest)) {
		return 0, raw{}, nil, malformed
	}
	value.bytes = rest[:length]
	if value.wire == wireFixed64 {
		value.number = binary.LittleEndian.Uint64(value.bytes)
	}
	return tag >> 3, value, rest[length:], nil
}

// ReadEvent passes over what it does not know.
func ReadEvent(data []byte) (Event, error) { return decode(data, "Event") }

func decode(data []byte, name string) (Event, error) {
	message := Event{}
	for len(data) > 0 {
		number, value, rest, err := next(data)
		if err != nil {
			return nil, err
		}
		data = rest
		f, isKnown := messages[name][number]
		if !isKnown {
			continue
		}
		for _, item := range items(f, value) {
			said, err := said(f.kind, item)
			switch {
			case err != nil:
				return nil, err
			case f.isMany:
				list, _ := message[f.name].([]any)
				message[f.name] = append(list, said)
			case said == nil:
				delete(message, f.name)
			default:
				message[f.name] = said
			}
		}
	}
	return message, nil
}

// items of a field: those of a repeated number may stand in one.
func items(f field, value raw) []raw {
	if value.wire == wireOf(f.kind) {
		return []raw{value}
	}
	var all []raw
	for packed := value.bytes; f.isMany && value.wire == wireBytes && len(packed) > 0; {
		number, n := binary.Uvarint(packed)
		if n <= 0 {
			return nil
		}
		all, packed = append(all, raw{number: number}), packed[n:]
	}
	return all
}

// said is the JSON of a value, nil for a default.
func said(kind string, value raw) (any, error) {
	if _, isMessage := messages[kind]; isMessage {
		return decode(value.bytes, kind)
	}
	isDefault := value.number == 0 && len(value.bytes) == 0
	switch {
	case kind == "string" && !utf8.Valid(value.bytes):
		return nil, faultf("parse", "a text that is not UTF-8")
	case isDefault || kind == "double" && value.number == 0:
		return nil, nil
	case kind == "string":
		return string(value.bytes), nil
	case kind == "bytes":
		return base64.StdEncoding.EncodeToString(value.bytes), nil
	case kind == "double":
		return math.Float64frombits(value.number), nil
	case kind == "bool":
		return true, nil
	case kind == "uint64":
		return strconv.FormatUint(value.number, 10), nil
	}
	if all := enums[kind]; value.number <= uint64(len(all)) {
		return all[value.number-1], nil
	}
	return float64(uint32(value.number)), nil
}

func has(value any, name string) bool {
	_, is := value.(Event)[name]
	return is
}

// Meaning of an event: section 16.3 for messages.
func Meaning(event Event) string {
	if message, is := event["message"]; is {
		switch {
		case has(message, "recalledByUserId"):
			return "message-recalled"
		case !has(message, "content"):
			return "message-expired"
		case has(message, "editCount"):
			return "message-edited"
		}
		return "message"
	}
	if reaction, is := event["reactionChanged"]; is {
		if has(reaction, "removed") {
			return "reaction-removed"
		}
		return "reaction"
	}
	if changed, is := event["draftChanged"].(Event); is {
		draft, _ := changed["draft"].(Event)
		if draft["content"] != nil {
			return "draft"
		}
		return "draft-gone"
	}
	if mute, is := event["muteChanged"]; is {
		if has(mute, "untilMs") {
			return "mute"
		}
		return "unmute"
	}
	if mark, is := event["todoChanged"].(Event); is {
		todo, _ := mark["todo"].(Event)
		state, _ := todo["state"].(string)
		if state == "" {
			return "todo-removed"
		}
		return "todo-" + strings.ToLower(strings.TrimPrefix(state, "TODO_STATE_"))
	}
	for kind, means := range map[string]string{
		"marksChanged": "marks", "conversationChanged": "conversation", "preferencesChanged": "preferences",
		"deviceChanged": "device",
		"profileChanged": "profile", "contactsChanged": "contacts", "blocksChanged": "blocks",
	} {
		if has(event, kind) {
			return means
		}
	}
	return "unknown"
}
