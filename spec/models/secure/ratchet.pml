/*
 * Chapter 13.4: the turns of the KEM ratchet between two devices, over a network that loses,
 * repeats and reorders, with somebody who makes messages up. What is checked: no contradiction between
 * honest devices, one root for an epoch, nothing opened twice, and no way to get stuck before the
 * last epoch.
 *
 * Roots are names. The answer with number k leads to the root k + 1, and to nothing for whoever has
 * another key or another root than its maker. A message opens for whoever has the root it was
 * sealed under. Device 0 is the initiator. Switches (-D) plant one bug each; see chapter 15.
 */

#ifndef LAST
#define LAST 3      /* epochs */
#endif
#ifndef REKEY
#define REKEY 2     /* messages of an epoch after which a key is due */
#endif
#ifndef FIRST
#define FIRST 1     /* messages that carry a step at first; 3 in the chapter */
#endif
#ifndef LATER
#define LATER 2     /* and every so many later; 8 in the chapter */
#endif
#ifndef NMAX
#define NMAX 6      /* messages in a chain, at most 8 */
#endif
#ifndef RESERVE
#define RESERVE 3   /* of which so many are left for the next offer */
#endif
#ifndef DEPTH
#define DEPTH 2     /* messages on their way, each way */
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef REPEATS
#define REPEATS 1
#endif
#ifndef FORGERIES
#define FORGERIES 1
#endif
#ifndef TALKS
#define TALKS true  /* whether the responder says anything by itself */
#endif
#define NOBODYS 99  /* a root that nobody has */

mtype = { NONE, EK, CT };

/* epoch, n, pn, root, step, its number, whether it counts as content */
chan net[2] = [DEPTH] of { byte, byte, byte, byte, mtype, byte, bool };

byte epoch[2] = 1, n[2], pn[2], count[2], since[2], unanswered[2];
mtype carrier[2] = NONE;
byte step[2];                           /* number of the ek or ct that is carried */
bool owes[2];                           /* an empty message */
/* By device and epoch: [device * (LAST + 1) + epoch] */
#define AT(device, e) ((device) * (LAST + 1) + (e))
byte root[2 * (LAST + 1)];
byte opened[2 * (LAST + 1)];            /* a bit for each place */
byte next[2 * (LAST + 1)];
byte pnOf[2 * (LAST + 1)];              /* what the other side says of its chain before, plus 1 */
byte offered[2 * (LAST + 1)];           /* the ek that was heard in this epoch */
byte answered[2 * (LAST + 1)];          /* the ct that this epoch began with */
byte rootOf[LAST + 1];                  /* of all devices */
byte eks, cts;
byte ctEk[8], ctRoot[8];
byte losses = LOSSES, repeats = REPEATS, forgeries = FORGERIES;

#define TURN(i) ((epoch[i] % 2 == 1) == (i == 0))
#define DONE (epoch[0] == LAST && epoch[1] == LAST && carrier[0] == NONE && carrier[1] == NONE)
#ifdef OFFERS_ANY_TIME
#define FREE(i) (carrier[i] != EK)
#else
#define FREE(i) (carrier[i] == NONE)
#endif
#ifdef OUT_OF_TURN
#define MAY_OFFER(i) (FREE(i) && epoch[i] < LAST)
#else
#define MAY_OFFER(i) (FREE(i) && epoch[i] < LAST && TURN(i))
#endif
#ifdef NO_REPEAT
#define CARRIES(i) (carrier[i] != NONE && since[i] == 0)
#else
#define CARRIES(i) (carrier[i] != NONE \
  && (since[i] < FIRST || (since[i] - FIRST + 1) % LATER == 0))
#endif

/* The end of a chain is left for an offer: real chains are long enough. */
#define MOST(i) \
  ((MAY_OFFER(i) && count[i] >= REKEY) || carrier[i] == EK -> NMAX : NMAX - RESERVE)

inline offer(i) { eks++; carrier[i] = EK; step[i] = eks; since[i] = 0 }

/* Seals a text, or an empty message, which carries the step in any case. */
inline send(i, content) {
  if
  :: MAY_OFFER(i) && count[i] >= REKEY -> offer(i)
  :: MAY_OFFER(i) && count[i] < REKEY -> offer(i)       /* the epoch is old enough */
  :: !MAY_OFFER(i) || count[i] < REKEY
  fi;
  if
  :: CARRIES(i) || (carrier[i] != NONE && !content) ->
#ifdef FRESH_KEYS
      if
      :: carrier[i] == EK && since[i] > 0 -> eks++; step[i] = eks
      :: else
      fi;
#endif
      net[i]!epoch[i], n[i], pn[i], root[AT(i, epoch[i])], carrier[i], step[i], content
  :: !(CARRIES(i) || (carrier[i] != NONE && !content)) ->
      net[i]!epoch[i], n[i], pn[i], root[AT(i, epoch[i])], NONE, 0, content
  fi;
  if
  :: carrier[i] != NONE && since[i] < FIRST + LATER -> since[i]++
  :: carrier[i] != NONE && since[i] >= FIRST + LATER -> since[i] = FIRST + 1
  :: carrier[i] == NONE
  fi;
  n[i]++; unanswered[i] = 0; owes[i] = false;
  count[i] = (count[i] < REKEY -> count[i] + 1 : REKEY)
}

/* Goes to the next epoch; what belonged to this one is erased. */
inline begin(i, r) {
  assert(rootOf[epoch[i] + 1] == 0 || rootOf[epoch[i] + 1] == r);     /* one root for an epoch */
  pn[i] = n[i]; n[i] = 0; epoch[i]++; rootOf[epoch[i]] = r; root[AT(i, epoch[i])] = r;
  carrier[i] = NONE; step[i] = 0; since[i] = 0; count[i] = 0;
  assert(epoch[0] <= epoch[1] + 1 && epoch[1] <= epoch[0] + 1)
}

/* Encapsulates to a key that is new here. */
inline answer(i) {
  cts++; ctEk[cts] = number; ctRoot[cts] = root[AT(i, epoch[i])];
  offered[AT(i, e)] = number;
  begin(i, cts + 1);
  carrier[i] = CT; step[i] = cts
}

inline commit(i) {
  assert(!(opened[AT(i, e)] & (1 << place)));                         /* nothing twice */
  opened[AT(i, e)] = opened[AT(i, e)] | (1 << place);
  assert(pnOf[AT(i, e)] == 0 || pnOf[AT(i, e)] == before + 1);        /* one length of a chain */
  assert(e == 1 || before >= next[AT(i, e - 1)]);
  pnOf[AT(i, e)] = before + 1;
  next[AT(i, e)] = (place >= next[AT(i, e)] -> place + 1 : next[AT(i, e)]);
  if
  :: e == epoch[i] ->
      count[i] = (count[i] < REKEY -> count[i] + 1 : REKEY);
      if
      :: carrier[i] == CT -> carrier[i] = NONE; step[i] = 0; since[i] = 0
      :: else
      fi
  :: else ->
#ifdef FORGETS_ANSWER
      if
      :: carrier[i] == CT -> carrier[i] = NONE; step[i] = 0; since[i] = 0
      :: else
      fi
#endif
      skip
  fi;
  if
  :: content -> unanswered[i] = (unanswered[i] < REKEY -> unanswered[i] + 1 : REKEY)
  :: else
  fi;
#ifndef NO_REPLY
  owes[i] = owes[i] || unanswered[i] == REKEY;
#endif
  if
  :: kind == CT -> assert(answered[AT(i, e)] == number)               /* one ek, one ct */
  :: kind == EK ->
      assert((e % 2 == 1) == (i == 1));                               /* in turn */
      if
#ifdef ANSWERS_TWICE
      :: e == epoch[i] || (offered[AT(i, e)] == number && e + 1 == epoch[i] && e < LAST) ->
          if
          :: e < epoch[i] -> epoch[i]--; n[i] = pn[i]
          :: else
          fi;
          answer(i)
      :: else
#else
      :: offered[AT(i, e)] == 0 -> assert(e == epoch[i]); answer(i)
      :: offered[AT(i, e)] != 0 -> assert(offered[AT(i, e)] == number)    /* one ek, one ct */
#endif
      fi
  :: kind == NONE
  fi
}

/* A message of the epoch after this one opens with the answer in it alone. */
inline open(i) {
  if
  :: e == epoch[i] + 1 && carrier[i] == EK && kind == CT && ctEk[number] == step[i] &&
      ctRoot[number] == root[AT(i, epoch[i])] && sealedBy == number + 1 ->
      begin(i, sealedBy); answered[AT(i, e)] = number;
      commit(i)
  :: e <= epoch[i] && sealedBy == root[AT(i, e)] && !(opened[AT(i, e)] & (1 << place)) ->
      commit(i)
#ifdef COMMITS_BEFORE_TAG
  :: sealedBy == NOBODYS && kind == EK && e == epoch[i] && !TURN(i) && offered[AT(i, e)] == 0 ->
      answer(i)
#endif
  :: else -> skip                       /* lost; nothing has changed */
  fi;
  e = 0; place = 0; before = 0; sealedBy = 0; kind = NONE; number = 0; content = false
}

/* Who says nothing else answers before it opens the next. */
#define AT_ONCE(i) (owes[i] && !TALKS && !DONE)

proctype Device(byte i) {
  byte e, place, before, sealedBy, number;
  mtype kind = NONE;
  bool content;
  do
  :: atomic { !DONE && nfull(net[i]) && (i == 0 || TALKS) && n[i] < MOST(i) ->
      send(i, true) }
  :: atomic { !DONE && nfull(net[i]) && owes[i] && n[i] < (TALKS -> MOST(i) : NMAX) ->
      send(i, false) }
  :: atomic { nempty(net[1 - i]) && !AT_ONCE(i) ->
      net[1 - i]?e, place, before, sealedBy, kind, number, content; open(i) }
  :: atomic { repeats > 0 && nempty(net[1 - i]) && !AT_ONCE(i) -> repeats--;
      net[1 - i]?<e, place, before, sealedBy, kind, number, content>; open(i) }
  :: atomic { losses > 0 && nempty(net[1 - i]) -> losses--; net[1 - i]?_, _, _, _, _, _, _ }
  /* To the end: what is on its way comes in any order. */
  :: atomic { len(net[1 - i]) > 1 ->
      net[1 - i]?e, place, before, sealedBy, kind, number, content;
      net[1 - i]!e, place, before, sealedBy, kind, number, content;
      e = 0; place = 0; before = 0; sealedBy = 0; kind = NONE; number = 0; content = false }
  :: atomic { forgeries > 0 && !DONE -> forgeries--; sealedBy = NOBODYS;
      if
      :: e = epoch[i]; kind = EK; number = 7
      :: e = epoch[i] + 1; kind = CT; number = 7
      fi;
      open(i) }
  :: atomic { DONE && empty(net[0]) && empty(net[1]) -> break }
  od
}

init {
  atomic {
    root[AT(0, 1)] = 1; root[AT(1, 1)] = 1; rootOf[1] = 1;
    run Device(0); run Device(1)
  }
}
