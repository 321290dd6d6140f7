/*
 * Attach, submit, acknowledge, deliver, resume: one device, the store, and the sessions of any
 * number of nodes, as chapters 4 and 5 have them. Links keep order and can be cut at any moment;
 * a session whose device has left goes on reading what is under way, for as long as it likes.
 *
 * Names: j… is in the device's journal, d… in its memory, s… in a session's memory, r… in the
 * store's record of the device. Switches (-D) plant one bug each; see chapter 9.
 */

#ifndef NSUB
#define NSUB 2      /* submits of the device */
#endif
#ifndef NEV
#define NEV 1       /* events of others on its timeline */
#endif
#ifndef WINDOW
#define WINDOW 2    /* submits without an acknowledged result */
#endif
#ifndef NLINK
#define NLINK 2     /* links that live, or linger, at once */
#endif
#ifndef CUTS
#define CUTS 2      /* links that the device leaves, or loses */
#endif
#ifndef KILLS
#define KILLS 1     /* sessions that die with their node */
#endif
#ifndef CRASHES
#define CRASHES 1   /* crashes of the device */
#endif
#define QUEUE 4
#define NONE 255

mtype = { HELLO, WELCOME, READY, SUBMIT, SUBACK, DELIVER, ACK, OVERTAKEN, SUPERSEDED };
mtype:session = { CLOSED, OPENING, JOINING, ATTACHING, OPEN };
mtype:device = { DETACHED, GREETING, INSTALLING, ATTACHED };

chan up[NLINK] = [QUEUE] of { mtype, byte, byte, byte };
chan down[NLINK] = [QUEUE] of { mtype, byte, byte, byte };

/* The store: durable. An attachment's generation, granted epochs, outbox position, timeline. */
byte rGen, rGranted, rEpoch, rThrough, rResults;
byte effects[NSUB + 1];           /* how often a submit took effect */
byte timeline[NSUB + NEV + 2];    /* 0: of others; else the submit */
byte head;

/* The journal, and what the application did: durable. Submit n has the number n - jBase. */
byte jEpoch, jBase, jResults, jCursor;
byte submitted, told, handled;

/* The device's memory. */
mtype:device dPhase = DETACHED;
byte dLink = NONE;
byte dEpoch, dThrough;            /* what Welcome said */
byte dClaimed;                    /* the cursor in Hello; the application may go on meanwhile */
byte dSent, dAcked, dReceived, dHanded;
bool dAckDue;

/* The sessions. */
mtype:session sPhase[NLINK] = CLOSED;
byte sGen[NLINK], sEpoch[NLINK], sThrough[NLINK], sResults[NLINK];
byte sReceived[NLINK], sAcked[NLINK], sDelivered[NLINK];
byte sSubmit[NLINK];              /* with the store: its number; 0: none */
byte sNumber[NLINK];
bool sCommitted[NLINK];           /* it took effect and is not acknowledged yet */
byte others = NEV;
byte cuts = CUTS, kills = KILLS, crashes = CRASHES;

/* A session writes to a device that has left: the bytes go nowhere. */
inline say(link, kind, a, b, c) {
  if
  :: dLink == link -> down[link]!kind(a, b, c)
  :: dLink != link
  fi
}

inline clear(link) {
  sPhase[link] = CLOSED; sGen[link] = 0; sEpoch[link] = 0; sThrough[link] = 0;
  sResults[link] = 0; sReceived[link] = 0; sAcked[link] = 0; sDelivered[link] = 0;
  sSubmit[link] = 0; sNumber[link] = 0; sCommitted[link] = false;
}

inline drop(queue) {
  do
  :: nempty(queue) -> queue?_, _, _, _
  :: empty(queue) -> break
  od
}

proctype Session(byte link) {
  byte a, b, c;
end:
  do
  /* [SES-18]: Hello looks, and grants an epoch where the device has none of this service. */
  :: atomic {
      sPhase[link] == OPENING && up[link]?[HELLO] && nfull(down[link]) ->
      up[link]?HELLO(a, b, c);
      assert(c <= head);                                              /* RES-7 */
      sGen[link] = rGen + 1;
      if
      :: a != 0 && a == rEpoch ->
#ifndef NO_DEDUPE
          assert(b <= rThrough);                                      /* RES-13 */
          assert(dLink != link || rResults <= b);    /* SEQ-8: nothing it needs is forgotten */
          sThrough[link] = rThrough;
#else
          sThrough[link] = b;
#endif
          sEpoch[link] = a; sResults[link] = b;
      :: a != 0 && a > rEpoch && a <= rGranted ->                     /* RES-9 */
          sEpoch[link] = a; sThrough[link] = 0; sResults[link] = 0;
      :: else ->
          assert(a == 0 || a > rEpoch);                               /* RES-10 */
          sEpoch[link] = (a > rGranted -> a : rGranted) + 1;
          sThrough[link] = 0; sResults[link] = 0;
#ifndef GRANT_FORGOTTEN
          rGranted = sEpoch[link];
#endif
      fi;
      sReceived[link] = sThrough[link]; sAcked[link] = sThrough[link]; sDelivered[link] = c;
#ifdef ATTACH_ON_HELLO
      rGen = rGen + 1; rGranted = sEpoch[link];
      if
      :: rEpoch != sEpoch[link] -> rEpoch = sEpoch[link]; rThrough = 0; rResults = 0
      :: else
      fi;
#endif
      sPhase[link] = JOINING;
      say(link, WELCOME, sEpoch[link], sThrough[link], head); a = 0; b = 0; c = 0
    }
  :: atomic {
      sPhase[link] == JOINING && up[link]?[READY] -> up[link]?READY(a, b, c);
#ifdef ATTACH_ON_HELLO
      sPhase[link] = OPEN
#else
      sPhase[link] = ATTACHING
#endif
    }
  /* [SES-6] [SES-18]: Ready attaches, unless something came in between. */
  :: atomic {
      sPhase[link] == ATTACHING && nfull(down[link]) ->
      if
      :: sGen[link] != rGen + 1 -> sPhase[link] = CLOSED; say(link, OVERTAKEN, 0, 0, 0)
      :: else ->
          rGen = sGen[link];
          if
          :: rEpoch != sEpoch[link] ->
              rEpoch = sEpoch[link]; rThrough = 0; rResults = 0; sPhase[link] = OPEN
          :: rEpoch == sEpoch[link] && rThrough != sThrough[link] ->
#ifdef NO_DEDUPE
              sPhase[link] = OPEN
#else
              sPhase[link] = CLOSED; say(link, OVERTAKEN, 0, 0, 0)
#endif
          :: else ->
              rResults = (sResults[link] > rResults -> sResults[link] : rResults);
              sPhase[link] = OPEN
          fi
      fi
    }
  /* One batch is with the store at a time. */
  :: atomic {
      sPhase[link] == OPEN && sSubmit[link] == 0 && up[link]?[SUBMIT] ->
      up[link]?SUBMIT(a, b, c);
      assert(a == sReceived[link] + 1);                               /* SEQ-1, SEQ-2 */
      assert(a <= sResults[link] + WINDOW);                           /* SEQ-8 */
      sReceived[link] = a; sNumber[link] = a; sSubmit[link] = b; a = 0; b = 0;
#ifdef ACK_BEFORE_COMMIT
      say(link, SUBACK, sNumber[link], 0, 0);
      sAcked[link] = sNumber[link]
#endif
    }
  :: atomic {
      sSubmit[link] != 0 && !sCommitted[link] && nfull(down[link]) ->
#ifndef NO_FENCE
      if
      :: sGen[link] != rGen || sEpoch[link] != rEpoch ->
          sSubmit[link] = 0; sNumber[link] = 0; sPhase[link] = CLOSED;
          say(link, SUPERSEDED, 0, 0, 0); goto next
      :: else
      fi;
#endif
      assert(sGen[link] == rGen);                                     /* SES-6 */
      if
#ifndef NO_DEDUPE
      :: sNumber[link] <= rThrough -> skip                            /* SEQ-4: a repeat */
#endif
      :: else ->
          rThrough = sNumber[link];
          effects[sSubmit[link]] = effects[sSubmit[link]] + 1;
          assert(effects[sSubmit[link]] == 1);                        /* SEQ-4 */
          assert(sSubmit[link] == 1 || effects[sSubmit[link] - 1] == 1); /* SEQ-14 */
          head = head + 1; timeline[head] = sSubmit[link];
#ifdef RESULTS_FORGOTTEN
          rResults = rThrough;
#endif
          assert(rThrough - rResults <= WINDOW)                       /* SEQ-8: kept results */
      fi;
      sCommitted[link] = true;
next: skip
    }
  /* Between these two lies the crash that repeats are for. */
  :: atomic {
      sCommitted[link] && nfull(down[link]) ->
      sCommitted[link] = false; sSubmit[link] = 0;
#ifndef ACK_BEFORE_COMMIT
      if
      :: sPhase[link] == OPEN ->
          assert(sEpoch[link] != rEpoch || sNumber[link] <= rThrough); /* SEQ-3 */
          sAcked[link] = sNumber[link];
          say(link, SUBACK, sNumber[link], 0, 0)
      :: else
      fi;
#endif
      sNumber[link] = 0
    }
  :: atomic {
      sPhase[link] == OPEN && up[link]?[ACK] -> up[link]?ACK(a, b, c);
      assert(a <= sDelivered[link] && b <= sAcked[link]);             /* SEQ-9 */
      sResults[link] = (b > sResults[link] -> b : sResults[link]);
      if
      :: sGen[link] == rGen && sEpoch[link] == rEpoch ->
          rResults = (sResults[link] > rResults -> sResults[link] : rResults)
      :: else
      fi;
      a = 0; b = 0
    }
  :: atomic {
      sPhase[link] == OPEN && dLink == link && sDelivered[link] < head && nfull(down[link]) ->
      sDelivered[link] = sDelivered[link] + 1;
      say(link, DELIVER, sDelivered[link], timeline[sDelivered[link]], 0)
    }
  /* The device has left: the session ends whenever its node notices. */
  :: atomic {
      sPhase[link] != CLOSED && dLink != link -> drop(up[link]); clear(link)
    }
  :: atomic {
      sPhase[link] == CLOSED && (nempty(up[link]) || sGen[link] != 0) && dLink != link ->
      drop(up[link]); clear(link)
    }
  od
}

inline leave() {
  drop(down[dLink]);
  dLink = NONE; dPhase = DETACHED; dEpoch = 0; dThrough = 0; dSent = 0; dAcked = 0;
  dReceived = 0; dClaimed = 0; dAckDue = false
}

/* Results up to a number are durable here and told. [SEQ-4] */
inline settle(through) {
  do
  :: told < jBase + through ->
      told = told + 1;
      assert(effects[told] == 1)                                      /* the result is true */
  :: else -> break
  od;
  jResults = (through > jResults -> through : jResults)
}

inline attachOn(link) {
  sPhase[link] == CLOSED && sGen[link] == 0 && empty(up[link]) ->
  dLink = link; sPhase[link] = OPENING; dPhase = GREETING;
  dClaimed = jCursor;
  up[link]!HELLO(jEpoch, jResults, jCursor)
}

proctype Device() {
  byte a, b, c;
  do
  :: atomic { submitted < NSUB -> submitted = submitted + 1 }         /* in the journal: SEQ-7 */
  :: atomic { dPhase == DETACHED -> attachOn(0) }
  :: atomic { dPhase == DETACHED -> attachOn(1) }
#if NLINK > 2
  :: atomic { dPhase == DETACHED -> attachOn(2) }
#endif
  :: atomic {
      dPhase == GREETING && down[dLink]?[WELCOME] ->
      down[dLink]?WELCOME(dEpoch, dThrough, c);
      assert(c >= dClaimed && c <= head);                             /* RES-1 to RES-3 */
      c = 0; dPhase = INSTALLING
    }
  /* What Welcome said is durable, then Ready. [SES-7] [RES-11] */
  :: atomic {
      dPhase == INSTALLING && nfull(up[dLink]) ->
      if
      :: dEpoch == jEpoch -> settle(dThrough)
      :: else -> jEpoch = dEpoch; jBase = told; jResults = 0
      fi;
      dSent = dThrough; dAcked = 0; dAckDue = (jResults > 0);
      dReceived = dClaimed; dHanded = (dHanded > jCursor -> dHanded : jCursor);
      dPhase = ATTACHED;
      up[dLink]!READY(0, 0, 0)
    }
  :: atomic {
      dPhase == ATTACHED && jBase + dSent < submitted && dSent < dAcked + WINDOW &&
      nfull(up[dLink]) ->
      dSent = dSent + 1;
      up[dLink]!SUBMIT(dSent, jBase + dSent, 0)
    }
  :: atomic {
      dPhase == ATTACHED && down[dLink]?[SUBACK] ->
      down[dLink]?SUBACK(a, b, c);
      assert(a <= dSent);                                             /* SEQ-9 */
      settle(a); a = 0; dAckDue = true
    }
  :: atomic {
      dPhase == ATTACHED && down[dLink]?[DELIVER] ->
      down[dLink]?DELIVER(a, b, c);
      assert(a == dReceived + 1 && b == timeline[a]);                 /* SEQ-2, SEQ-10, SEQ-14 */
      dReceived = a;
      dHanded = (a > dHanded -> a : dHanded);
#ifdef CURSOR_BEFORE_HANDLED
      jCursor = (a > jCursor -> a : jCursor); dAckDue = true;
#endif
      a = 0; b = 0
    }
  /* The application handles one event; with the cursor it is one durable write. [SEQ-11] */
#ifdef CURSOR_BEFORE_HANDLED
  :: atomic { handled < dHanded -> handled = handled + 1; assert(handled <= jCursor) }
#else
  :: atomic {
      jCursor < dHanded ->
      jCursor = jCursor + 1; handled = handled + 1;
      assert(handled == jCursor);                                     /* each once, in order */
      dAckDue = (dPhase == ATTACHED)
    }
#endif
  :: atomic {
      dPhase == ATTACHED && dAckDue && nfull(up[dLink]) ->
      dAckDue = false; dAcked = jResults;
      up[dLink]!ACK((jCursor < dReceived -> jCursor : dReceived), jResults, 0)
    }
  :: atomic { dPhase == ATTACHED && down[dLink]?[OVERTAKEN] -> leave() }
  :: atomic {
      dLink != NONE && down[dLink]?[SUPERSEDED] -> assert(false)      /* SES-8: by nobody else */
    }
  :: atomic { cuts > 0 && dLink != NONE -> cuts = cuts - 1; leave() }
  :: atomic {
      crashes > 0 -> crashes = crashes - 1;
      assert(handled == jCursor);               /* SEQ-11: what the cursor covers is not lost */
      if
      :: dLink != NONE -> leave()
      :: else
      fi;
      dHanded = jCursor
    }
  :: atomic {
      submitted == NSUB && told == NSUB && handled == NSUB + NEV -> break
    }
  od
}

/* A node dies, and with it a session: what took effect may never be acknowledged. */
inline kill(link) {
  kills > 0 && sPhase[link] != CLOSED ->
  kills = kills - 1; drop(up[link]); clear(link);
  if
  :: dLink == link -> leave()
  :: dLink != link
  fi
}

proctype World() {
end:
  do
  :: atomic { others > 0 -> others = others - 1; head = head + 1; timeline[head] = 0 }
  :: atomic { kill(0) }
  :: atomic { kill(1) }
#if NLINK > 2
  :: atomic { kill(2) }
#endif
  od
}

init {
  byte link;
  atomic {
    run Device(); run World();
    for (link : 0 .. NLINK - 1) { run Session(link) }
    link = 0
  }
}
